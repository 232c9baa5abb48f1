"""The HTML report and its plots."""

from .report import write_report as write_report
