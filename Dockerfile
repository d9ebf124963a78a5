# The gateway as one small image: a virtual environment built from the lock, and nothing that builds or installs.
# Both stages stand on the same image, because the environment's interpreter is a link to the one that it was made with.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --require-hashes --only-binary=:all: -r requirements/build.txt
RUN python -m venv --without-pip /opt/yett \
    && /opt/build/bin/python -m pip --python /opt/yett/bin/python install --require-hashes --only-binary=:all: --no-compile -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
# What the environment is made of (CycloneDX), told by the packages that are in it.
COPY .ci/sbom.py .ci/
RUN /opt/yett/bin/python .ci/sbom.py requirements/runtime.txt /opt/yett/share/sbom.cdx.json
COPY policies policies
COPY tenants tenants
COPY gateway gateway
RUN /opt/build/bin/python -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /src/dist . \
    && /opt/build/bin/python -m pip --python /opt/yett/bin/python install --no-index --no-deps --no-compile /src/dist/*.whl
# The root file system is read-only later, so the bytecode is written now; it is checked by hash, not by time.
RUN /opt/yett/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/yett/lib

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/yett/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    YETT_DATA=/var/lib/yett
# Nothing is installed in a running container, so what could install goes. The user is a number, so that a cluster can
# see that it is not root.
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
    && rm -rf /usr/local/lib/python3*/ensurepip \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/yett
COPY --from=builder /opt/yett /opt/yett

USER 10001:10001
WORKDIR /var/lib/yett
LABEL org.cyclonedx.sbom=/opt/yett/share/sbom.cdx.json
VOLUME ["/var/lib/yett", "/tmp"]
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/livez', timeout=2)"]
ENTRYPOINT ["yett"]
CMD ["serve", "--config", "/etc/yett/yett.yaml"]
