/* SPDX-License-Identifier: Apache-2.0 */
/* The files in lib/metric/page/, which the build turns into strings of C. */
#include "metric/page_impl.h"

const char t3di_page_style[] =
#include "metric/page/page.css.h"
    ;
const char t3di_page_tables[] =
#include "metric/page/tables.js.h"
    ;
const char t3di_page_viewer[] =
#include "metric/page/viewer.js.h"
    ;
