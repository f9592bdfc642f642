"""`slotwise doctor`: what is wrong in a Redis that holds jobs, ours or a stock arq's, and what to do about it.

Reads only, in bounded steps, and never unpickles. What is moving is judged by atomic reads, so that a job which
goes from one state to the next meanwhile is not taken for ill.
"""

from slotwise.doctor.examination import examine
from slotwise.doctor.report import Finding, Report

__all__ = ["Finding", "Report", "examine"]
