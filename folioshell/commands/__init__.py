"""The command language: one declaration a command; grammar, completion, help and reference come from it."""
