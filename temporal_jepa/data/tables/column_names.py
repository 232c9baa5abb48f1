"""Names that columns of ids, times and labels usually have."""

import re

IDS = re.compile(
    r"(.*[_\s.-])?[iI][dD]|ID|.*[a-z]I[dD]"
    r"|(?i:tid|series|track|trajectory|sample|case|item|subject|session)"
)
TIMES = (
    "time",
    "timestamp",
    "datetime",
    "date",
    "ds",
    "t",
    "frame",
    "step",
    "timestep",
    "time_idx",
    "index",
)
LABELS = ("label", "class", "target", "y", "labels", "classes", "category")
