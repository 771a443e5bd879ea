# The app for one model, on a CPU: docs/install.md says how to build and run it.
FROM python:3.11-slim AS build
WORKDIR /source
# pip's options; for smaller images the index of PyTorch's CPU builds: --extra-index-url …
ARG PIP_OPTIONS=""
RUN python -m venv /opt/venv
COPY . .
RUN /opt/venv/bin/pip install --no-cache-dir ${PIP_OPTIONS} '.[app]'

FROM python:3.11-slim
COPY --from=build /opt/venv /opt/venv
# All that is written goes to /tmp: run it with --read-only --tmpfs /tmp
ENV HOME=/tmp HF_HOME=/tmp/hf HF_HUB_OFFLINE=1 MPLCONFIGDIR=/tmp/matplotlib \
    GRADIO_TEMP_DIR=/tmp/gradio PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:$PATH
USER 10001:10001
WORKDIR /tmp
EXPOSE 7860
ENTRYPOINT ["hf-cushing"]
CMD ["app", "/model", "--host", "0.0.0.0"]
