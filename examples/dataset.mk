# SPDX-License-Identifier: Apache-2.0
# A data set as a Makefile: each step leaves a stamp, and every step may be stopped and given again.
#     make -f examples/dataset.mk MODELS=~/models CAPTIONS=captions.csv WORK=work
MODELS   ?= models
CAPTIONS ?=
WORK     ?= work
RESOLUTION ?= 512
FILTER   ?= --min-polygons 50 --max-polygons 500000 --remove-broken-meshes
T3D      := t3d -C $(WORK)

all: $(WORK)/splits.json
$(WORK)/fetched: $(CAPTIONS)
	$(T3D) fetch local $(MODELS) $(if $(CAPTIONS),--captions $(CAPTIONS))
	touch $@
$(WORK)/filtered: $(WORK)/fetched
	$(T3D) filter $(FILTER) --rejects $(WORK)/rejects.ndjson
	touch $@
$(WORK)/rendered: $(WORK)/filtered
	$(T3D) render --resolution $(RESOLUTION) --sheet $(WORK)/sheet.png
	$(T3D) filter --views --min-coverage 0.005
	touch $@
$(WORK)/splits.json: $(WORK)/rendered
	$(T3D) splits --train .8 --val .1 --test .1
.PHONY: all
