# Both stages use this base, since the virtual environment of one must find its Python in the other.
FROM python:3.13-slim-trixie AS base


FROM base AS build

# gunicorn_h1c is published as source only. The compiler is installed in this stage alone.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# To use a mirror of the package index: --build-arg PIP_INDEX_URL=...
ARG PIP_INDEX_URL

COPY requirements.txt requirements-fast.txt requirements-otel.txt /tmp/
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir \
        --disable-pip-version-check --require-hashes --requirement /tmp/requirements.txt \
        --requirement /tmp/requirements-fast.txt --requirement /tmp/requirements-otel.txt

# botocore describes every service of AWS, in 28 MB. The bucket and the ways to sign in to it are used.
RUN find /opt/venv/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} +

# The file modes of a checkout depend on the umask, but the service must be able to read the files.
COPY fileservice /app/fileservice
RUN ln -s fileservice/gunicorn_config.py /app/gunicorn.conf.py \
    && python -m compileall -q /app/fileservice && chmod -R u=rwX,go=rX /app


FROM base

# The user is given by number, so that an orchestrator can see that it is not root. An empty volume
# that is mounted at /data gets its owner.
RUN groupadd --gid 10001 fileservice \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin fileservice \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data

COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FILESERVICE_BIND=0.0.0.0:8000 \
    FILESERVICE_STORE_URL=/data

WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-m", "fileservice.healthcheck"]

CMD ["gunicorn"]
