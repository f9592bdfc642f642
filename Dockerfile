# One image for the front end, the workers and the command line; the command says which.
#   docker build -t slotwise . && docker run --rm slotwise slotwise --version
# With your own algorithms, a build of a second:
#   FROM slotwise
#   COPY my_algorithms.py /algorithms/
#   ENV ALGORITHMS=my_algorithms

FROM python:3.11-slim AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

# The dependencies, in a layer of their own: they change seldom.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/slotwise \
    && python -m venv /opt/build \
    && /opt/slotwise/bin/pip install --require-hashes -r requirements.lock \
    && /opt/build/bin/pip install --require-hashes -r requirements-build.lock

# What the dashboard loads in the browser. Without a way to it the image is whole but for the dashboard, which says so.
COPY package.json package-lock.json .npmrc requirements-node.lock ./
COPY scripts/browser.sh scripts/
RUN scripts/browser.sh --omit=dev || echo "the dashboard was not fetched"

COPY pyproject.toml README.md LICENSE ./
COPY slotwise slotwise
COPY service service
COPY worker worker
# There is no git here to ask: --build-arg VERSION="$(python -m setuptools_scm)" tells.
ARG VERSION=0.0.0
# The last line: modules in /algorithms are found, after ours, by front end, worker and jobs alike.
RUN SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" \
        /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheel . \
    && /opt/slotwise/bin/pip install --no-deps /build/wheel/*.whl \
    && /opt/slotwise/bin/python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'algorithms.pth').write_text('/algorithms\n')"


FROM python:3.11-slim
# A number, so that Kubernetes can see that it is not root. Nobody writes here but `slotwise up`.
RUN install -d -o 10001 -g 10001 -m 700 /data && install -d /algorithms
COPY --from=build /opt/slotwise /opt/slotwise
# A container has a host name of its own: its `arq --check` speaks for it alone.
ENV PATH=/opt/slotwise/bin:$PATH PYTHONUNBUFFERED=1 CHECK_BY_HOST=1

USER 10001:10001
WORKDIR /data

EXPOSE 8000
# A worker stops taking jobs, and has DRAIN_SECONDS (30) for those that it has: give it 10 s more before the kill.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/healthz', timeout=4)"]

CMD ["python", "-P", "-m", "service"]
