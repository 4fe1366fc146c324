"""What several tests of this folder need."""

import numpy as np

from bmi_dhydro import BmiDhydro
from bmi_dhydro.variables import OUTPUTS

DEPTH = OUTPUTS[0].name


def runoff(path, steps=500, look=lambda bmi, step: None):
    bmi = BmiDhydro()
    bmi.initialize(str(path))
    rows = np.empty((steps, bmi.get_grid_size(0)))
    for step, row in enumerate(rows):
        look(bmi, step)
        bmi.update()
        bmi.get_value(DEPTH, row)
    bmi.finalize()
    return rows


def replaced(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path
