// A host in C++, as the NextGen engine is one: it embeds Python, links the system's netCDF, keeps the
// forcing file open, and drives one module for each catchment through pybind11.
//
//   engine FOLDER STEPS ID...    prints for each catchment its id and the sum of its main output

#include <netcdf.h>
#include <pybind11/embed.h>
#include <pybind11/numpy.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace py = pybind11;

static void check(int status, const char *what) {
    if (status != NC_NOERR) {
        std::fprintf(stderr, "%s: %s\n", what, nc_strerror(status));
        std::exit(3);
    }
}

struct Forcing {
    int file = 0;
    std::map<std::string, size_t> rows;

    explicit Forcing(const std::string &path) {
        check(nc_open(path.c_str(), NC_NOWRITE, &file), path.c_str());
        int ids, dimension;
        size_t count;
        check(nc_inq_dimid(file, "catchment-id", &dimension), "catchment-id");
        check(nc_inq_dimlen(file, dimension, &count), "catchment-id");
        check(nc_inq_varid(file, "ids", &ids), "ids");
        std::vector<char *> names(count);
        check(nc_get_var_string(file, ids, names.data()), "ids");
        for (size_t row = 0; row < count; ++row) rows[names[row]] = row;
        nc_free_string(count, names.data());
    }

    double value(const std::string &name, const std::string &id, size_t step) const {
        int variable;
        check(nc_inq_varid(file, name.c_str(), &variable), name.c_str());
        const size_t index[] = {rows.at(id), step};
        double result;
        check(nc_get_var1_double(file, variable, index, &result), name.c_str());
        return result;
    }
};

// What the engine calls our inputs, and how it converts their units.
struct Input {
    std::string variable;
    double scale, offset;
};

static const std::map<std::string, Input> inputs = {
    {"atmosphere_water__liquid_equivalent_precipitation_rate", {"precip_rate", 3600.0, 0.0}},
    {"land_surface_air__temperature", {"TMP_2maboveground", 1.0, -273.15}},
    {"land_surface_water__potential_evaporation_volume_flux",
     {"potential_evapotranspiration", 1.0, 0.0}},
    {"atmosphere_air_water~vapor__relative_saturation", {"SPFH_2maboveground", 1.0, 0.0}},
    {"land_surface_radiation~incoming~shortwave__energy_flux", {"DSWRF_surface", 1.0, 0.0}},
    {"land_surface_radiation~incoming~longwave__energy_flux", {"DLWRF_surface", 1.0, 0.0}},
    {"land_surface_air__pressure", {"PRES_surface", 1.0, 0.0}},
    {"land_surface_wind__x_component_of_velocity", {"UGRD_10maboveground", 1.0, 0.0}},
    {"land_surface_wind__y_component_of_velocity", {"VGRD_10maboveground", 1.0, 0.0}},
};

static const char *output = "land_surface_water__runoff_depth";

struct Catchment {
    std::string id;
    py::object model;
    double total = 0.0;

    ~Catchment() {
        // As in the engine: an exception here would end the process.
        if (model) model.attr("finalize")();
    }
};

static void step(Catchment &catchment, const Forcing &forcing, size_t number) {
    py::object &model = catchment.model;
    const double now = model.attr("get_current_time")().cast<double>();
    for (py::handle handle : model.attr("get_input_var_names")()) {
        const std::string name = handle.cast<std::string>();
        const Input &input = inputs.at(name);
        py::array_t<double> source(1);
        source.mutable_at(0) =
            forcing.value(input.variable, catchment.id, number) * input.scale + input.offset;
        model.attr("set_value")(name, source);
    }
    if (model.attr("get_time_step")().cast<double>() == 3600.0)
        model.attr("update")();
    else
        model.attr("update_until")(now + 3600.0);
    py::array_t<double> destination(1);
    py::array_t<int> index(1);
    index.mutable_at(0) = 0;
    model.attr("get_value_at_indices")(output, destination, index);
    catchment.total += destination.at(0);
}

int main(int count, char **arguments) {
    const std::string folder = arguments[1];
    const size_t steps = std::strtoul(arguments[2], nullptr, 10);
    const Forcing forcing(folder + "/forcings/forcings.nc");
    py::scoped_interpreter interpreter;
    {
        py::object type = py::module_::import("bmi_dhydro").attr("BmiDhydro");
        std::vector<Catchment> catchments(count - 3);
        for (int k = 3; k < count; ++k) {
            Catchment &catchment = catchments[k - 3];
            catchment.id = arguments[k];
            catchment.model = type();
            const std::string path =
                folder + "/config/cat_config/DHYDRO/" + catchment.id + ".yml";
            catchment.model.attr("initialize")(path);
        }
        for (size_t number = 0; number < steps; ++number)
            for (Catchment &catchment : catchments) step(catchment, forcing, number);
        for (const Catchment &catchment : catchments)
            std::printf("%s %.17g\n", catchment.id.c_str(), catchment.total);
    }
    return 0;
}
