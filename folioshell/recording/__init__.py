"""Recordings of real kernels: replaying their scenarios on the model, and comparing what is seen."""
