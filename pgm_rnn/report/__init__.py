"""From stored results to the pages and figures that people look at; nothing is trained here."""

from pgm_rnn.report.pages import render_report

__all__ = ["render_report"]
