# Scores the rows of a file by one model, a folder of savedmodels:
#
#     docker build -f scripts/docker/scoring.Dockerfile --build-arg MODEL=maf-8gaussians -t scores .
#     docker run -v "$PWD:/data" -u "$(id -u)" scores --in rows.csv --out scores.csv
FROM python:3.12-slim
COPY setup.cfg pyproject.toml README.md LICENSE /src/
COPY scripts/tfflows /src/scripts/tfflows
COPY tfflows /src/tfflows
COPY zoo /src/zoo
RUN pip install --no-cache-dir /src && rm -r /src
ARG MODEL
COPY savedmodels/${MODEL} /model
ENV TF_CPP_MIN_LOG_LEVEL=3
WORKDIR /data
USER nobody
ENTRYPOINT ["tfflows", "score", "--model", "/model"]
