"""Draw skill_curves.png from skill_curves.csv: skill in time and in space as training goes on.

python docs/skill_curves.py
"""

from __future__ import annotations

from pathlib import Path

import pandas
from matplotlib.figure import Figure

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the picture beside the numbers."""
    table = pandas.read_csv(FOLDER / "skill_curves.csv")
    figure = Figure(figsize=(8.0, 4.4), layout="constrained")
    axis = figure.subplots()
    for k, (setting, rows) in enumerate(table.groupby("setting", sort=False)):
        axis.plot(
            rows["batches"], rows["in_time"], "o-", ms=3, lw=1.2, color=f"C{k}", label=setting
        )
        axis.plot(rows["batches"], rows["in_space"], "o--", ms=3, lw=1.2, color=f"C{k}")
    axis.axhline(0.71, color="0.6", lw=0.8)
    axis.text(1500, 0.713, "aim in space", ha="right", fontsize=8, color="0.4")
    axis.set(xlabel="batches", ylabel="median NSE, 1967 to 1975", ylim=(0.54, 0.82))
    axis.set_title("Trained to 1966; in time (full) and in regions never seen (dashed)", loc="left")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="center right")
    figure.savefig(FOLDER / "skill_curves.png", dpi=120)


if __name__ == "__main__":
    main()
