/* SPDX-License-Identifier: Apache-2.0 */
/* image/version.h -- what `t3d version` says about the picture libraries. */
#ifndef T3D_IMAGE_VERSION_H
#define T3D_IMAGE_VERSION_H

/* "libpng 1.6.39, libjpeg-turbo 2.1.5, libwebp 1.2.4, libdeflate 1.14": libpng and libwebp as
 * loaded at run time, the others as compiled against. */
const char *t3d_image_libraries(void);

#endif
