"""What workers need, imported for its own sake: they are forked from a process that has done so."""

import av  # noqa: F401
import imagehash  # noqa: F401
import pyarrow
import scipy.fftpack  # noqa: F401

import framekit.extraction.executors
import framekit.extraction.segment  # noqa: F401

pyarrow.array([0])  # the first list of all has Arrow import pandas, where that is installed
