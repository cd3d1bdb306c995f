# SPDX-License-Identifier: GPL-2.0
# One line for each thing to do; the work is in lab/.

# Unless given, after make or in the environment; above those of all others
proof endurance: CYCLES := $(or $(CYCLES),10000)
platform: DRIVER := $(or $(DRIVER),all)

FLAVOUR ?= uml
DRIVER  ?= vivid
CYCLES  ?= 20
BITS    ?= 64
export BITS TYPE MINUTES KSRC KTARBALL MIRROR ACCEL VERBOSE JOBS APPEND DEVICES

.PHONY: help setup base tree refresh mail kernel shell kunit selftest compliance \
	sequences stress endurance times torture bench demo baseline matrix faults \
	reprobe platform lint coccicheck check test test-all proof report clean

help:
	@cat lab/help.txt

setup:
	@lab/setup.sh
base: setup
	@lab/base.sh
tree: setup
	@lab/tree.sh tree
refresh: setup
	@lab/tree.sh refresh
mail: setup
	@lab/tree.sh mail
kernel: setup
	@lab/kernel.sh "$(FLAVOUR)" $(BASE)
shell: setup
	@FLAVOUR="$(FLAVOUR)" lab/test.sh shell $(BASE)
kunit selftest compliance sequences stress endurance times torture bench baseline \
	matrix faults reprobe lint coccicheck check test test-all proof report: setup
	@FLAVOUR="$(FLAVOUR)" CYCLES="$(CYCLES)" lab/test.sh $@
demo platform: setup
	@DRIVER="$(DRIVER)" CYCLES="$(CYCLES)" lab/test.sh $@
clean:
	@lab/tree.sh clean
