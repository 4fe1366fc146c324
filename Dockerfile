# The component behind grpc4bmi's server, as grpc4bmi and eWaterCycle start it:
#
#   docker build -t bmi-dhydro-grpc4bmi:0.1.0 .
#   docker run --rm -p 55555:55555 -v "$PWD/my-run:$PWD/my-run" bmi-dhydro-grpc4bmi:0.1.0
#
# The same image is the command line too:
#
#   docker run --rm -v "$PWD:/work" --entrypoint bmi-dhydro bmi-dhydro-grpc4bmi:0.1.0 demo
FROM python:3.12-slim AS build
COPY . /source
RUN python -m venv /opt/dhydro \
    && /opt/dhydro/bin/pip install --no-cache-dir "/source[grpc,ngen,plot]"

FROM python:3.12-slim
LABEL org.opencontainers.image.title="bmi_dhydro" \
      org.opencontainers.image.description="A trained differentiable hydrology model behind the Basic Model Interface" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/dhydro /opt/dhydro
# Kernels are compiled once for each image, not at each start of a container.
ENV PATH=/opt/dhydro/bin:$PATH \
    BMI_DHYDRO_CACHE_DIR=/opt/dhydro/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    BMI_PORT=55555
RUN bmi-dhydro demo --catchments 1 --years 1 --out /tmp/demo && rm -r /tmp/demo && chmod -R a+rwX /opt/dhydro/cache
# Containers run as whoever starts them; files that they write are that user's.
WORKDIR /work
EXPOSE 55555
ENTRYPOINT ["run-bmi-server", "--name", "bmi_dhydro.BmiDhydro"]
