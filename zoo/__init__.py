"""Pretrained flows: one folder a model. None is published yet."""
