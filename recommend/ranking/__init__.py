"""Measures of ranked lists of articles, with intervals and paired tests over customers."""
