"""The pytest plugin: scripts are collected as tests."""
