"""Progression of diabetes: data, training, evaluation, serving."""
