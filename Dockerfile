# The worker's image. Nothing in it is unpinned but the base: what runs and what builds is checked against the
# hashes in requirements/. Designed for BuildKit (the default of `docker build`).

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_CACHE_DIR=/var/cache/uv \
    VIRTUAL_ENV=/opt/venv
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src

# uv is the one tool that checks the hashes of the build's own requirements too; its pinned lines are in dev.txt.
COPY requirements/ requirements/
RUN sed -n '/^uv==/,/# via/p' requirements/dev.txt > uv.txt \
    && pip install --require-hashes --no-deps --only-binary :all: -r uv.txt \
    && uv venv "${VIRTUAL_ENV}"

# The dependencies are a layer of their own: a change of our code leaves it as it is.
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip install --require-hashes --only-binary :all: -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY worker/ worker/
COPY schemas/ schemas/
COPY stream_client/ stream_client/
COPY migrations/ migrations/
RUN --mount=type=cache,target=/var/cache/uv \
    uv build --wheel --build-constraints requirements/dev.txt --require-hashes --out-dir dist . \
    && uv pip install --no-deps dist/*.whl


FROM python:3.13-slim
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# Owned by root, so that the worker cannot change its own program.
COPY --from=build /opt/venv /opt/venv
# The default SQLite file goes to var/ below the working directory: the one place that the worker may write to.
# Put a volume there, or give STREAMS_DATABASE_URL and run with a read-only root.
RUN install -d -o 10001 -g 10001 /var/lib/stream-worker /var/lib/stream-worker/var
WORKDIR /var/lib/stream-worker
# A number, so that an orchestrator can see that it is not root without reading the image's user table.
USER 10001:10001
# The exec form: the worker itself gets SIGTERM, and drains.
ENTRYPOINT ["stream-worker"]
CMD ["run"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["stream-worker", "health"]
