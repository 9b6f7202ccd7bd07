#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All of tests/tool/reconstruct.t: every model in parts and in stages, every size.
T3D_ALL=1
. "$T3D_SOURCE/tests/tool/reconstruct.t"
