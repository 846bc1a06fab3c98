"""Progression of a disease: data, training, evaluation, serving."""
