# TensorFlow Serving with one model inside, a folder of savedmodels:
#
#     docker build -f scripts/docker/serving.Dockerfile --build-arg MODEL=maf-8gaussians -t maf .
#     docker run -p 8500:8500 -p 8501:8501 maf
#
# A SavedModel is a program: build it of models whose source you trust. The server needs no right
# to write, so that it runs as nobody.
FROM tensorflow/serving:2.19.1
ARG MODEL
COPY savedmodels/${MODEL} /models/${MODEL}
ENV MODEL_NAME=${MODEL}
USER nobody
