# The image of the web server and the worker, and two small ones that let MinIO and Caddy run without
# root: `docker compose build`. LOCK=extras adds Whisper and OCR models' runtimes to the first.
FROM python:3.13.7-slim-bookworm AS build
ARG LOCK=runtime
WORKDIR /srv/mediahub
COPY locks locks
COPY scripts/bootstrap.py scripts/bootstrap.py
RUN python scripts/bootstrap.py "$LOCK" && rm -rf /root/.cache
# Folders for volumes that start empty: a volume takes the owner of the folder it covers.
RUN mkdir -p /volumes/mediahub/var/lib/mediahub /volumes/minio/var/lib/minio \
    /volumes/caddy/var/lib/caddy

FROM pgsty/minio:RELEASE.2026-08-04T00-00-00Z AS minio
COPY --from=build --chown=10001:10001 /volumes/minio/var/lib/ /var/lib/
USER 10001:10001

FROM caddy:2.11.4-alpine AS caddy
COPY --from=build --chown=10001:10001 /volumes/caddy/var/lib/ /var/lib/
COPY deploy/Caddyfile /etc/caddy/Caddyfile
ENV XDG_DATA_HOME=/var/lib/caddy XDG_CONFIG_HOME=/var/lib/caddy
USER 10001:10001

FROM python:3.13.7-slim-bookworm AS mediahub
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tesseract-ocr \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mediahub
WORKDIR /srv/mediahub
COPY --from=build --chown=10001:10001 /volumes/mediahub/var/lib/ /var/lib/
COPY --from=build /srv/mediahub/.venv .venv
COPY manage.py pyproject.toml LICENSE ./
COPY static static
COPY templates templates
COPY media_assets media_assets
COPY processing processing
COPY transcription transcription
COPY mediahub mediahub
RUN .venv/bin/python -m compileall -q mediahub media_assets processing transcription
ENV PATH=/srv/mediahub/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/var/lib/mediahub \
    HOST=0.0.0.0
USER 10001:10001
EXPOSE 8000
# What is written belongs to its owner alone.
ENTRYPOINT ["/bin/sh", "-c", "umask 077 && exec \"$@\"", "mediahub"]
CMD ["gunicorn", "--config", "python:mediahub.gunicorn", "mediahub.wsgi"]
