"""Make the extract of MOPEX that tests of real catchments take.

    python tests/data/make_mopex_extract.py MOPEX_DAILY.nc

writes mopex_extract.nc beside this file: every 30th catchment without a flag, 1958 to 1970.
"""

import sys
from pathlib import Path

import netCDF4
import numpy as np

FIRST, LAST = np.datetime64("1958-10-01"), np.datetime64("1970-09-30")
EVERY = 30
LEFT_OUT = ("forcing_fill_flag",)


def main(source: Path, target: Path) -> None:
    with netCDF4.Dataset(source) as whole, netCDF4.Dataset(target, "w") as part:
        whole.set_auto_maskandscale(False)
        part.setncatts({name: whole.getncattr(name) for name in whole.ncattrs()})
        part.history = "every 30th catchment without a flag, 1958-10-01 to 1970-09-30"
        rows = np.flatnonzero(whole["qc_flag"][:] == 0)[::EVERY]
        time = whole["time"]
        days = netCDF4.num2date(time[:], time.units, only_use_cftime_datetimes=False)
        days = np.array(days, "datetime64[D]")
        chosen = {
            "basin": rows,
            "time": np.flatnonzero((days >= FIRST) & (days <= LAST)),
            "attr": np.arange(len(whole.dimensions["attr"])),
        }
        for name, index in chosen.items():
            part.createDimension(name, len(index))
        for name, variable in whole.variables.items():
            if name in LEFT_OUT:
                continue
            attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
            fill = attributes.pop("_FillValue", None)
            packed = {} if variable.dtype is str else {"compression": "zlib", "complevel": 9}
            copy = part.createVariable(
                name, variable.dtype, variable.dimensions, fill_value=fill, **packed
            )
            copy.setncatts(attributes)
            copy.set_auto_maskandscale(False)
            copy[:] = variable[:][np.ix_(*(chosen[d] for d in variable.dimensions))]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("mopex_extract.nc"))
