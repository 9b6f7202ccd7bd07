/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image.h"

#include <webp/decode.h>

#include "base/arena.h"
#include "image/image_impl.h"

int t3di_decode_webp(uint8_t *pixels, const struct t3d_image_info *info, const uint8_t *data,
                     size_t size, struct t3d_err *err)
{
    WebPBitstreamFeatures f;
    size_t stride = (size_t)info->width * 4;

    if (WebPGetFeatures(data, size, &f) != VP8_STATUS_OK)
        return t3d_err_set(err, T3D_SKIP, "bad-image", "WebP header is damaged");
    if (f.has_animation)
        return t3d_err_set(err, T3D_SKIP, "bad-image", "WebP is an animation, not a picture");
    if (f.width < 0 || f.height < 0 || (uint32_t)f.width != info->width ||
        (uint32_t)f.height != info->height)
        return t3d_err_set(err, T3D_SKIP, "bad-image", "WebP headers disagree about the size");
    if (!WebPDecodeRGBAInto(data, size, pixels, stride * info->height, (int)stride))
        return t3d_err_set(err, T3D_SKIP, "bad-image", "WebP data is damaged or cut short");
    return T3D_OK;
}

int t3d_image_decode_grey16(struct t3d_image_info *info, uint16_t **pixels, struct t3d_arena *a,
                            const uint8_t *data, size_t size, struct t3d_err *err)
{
    struct t3d_image_info i;
    int r = t3d_image_probe(&i, data, size, err);
    uint16_t *p;

    if (r < 0)
        return r;
    p = t3d_alloc_raw(a, (size_t)i.width * i.height, sizeof *p);
    if (!p)
        return t3d_err_nomem(err, "a picture's pixels");
    if (i.format != T3D_IMAGE_PNG || !t3di_decode_png_grey16(p, &i, a, data, size))
        return t3d_err_set(err, T3D_SKIP, "bad-image",
                           "the picture is damaged, or no PNG of 16-bit grey");
    *info = i;
    *pixels = p;
    return T3D_OK;
}

int t3d_image_decode(struct t3d_image_info *info, uint8_t **pixels, struct t3d_arena *a,
                     const uint8_t *data, size_t size, struct t3d_err *err)
{
    struct t3d_image_info i;
    int r = t3d_image_probe(&i, data, size, err);
    uint8_t *p;

    if (r < 0)
        return r;
    p = t3d_alloc_raw(a, t3di_png_room(&i), 1);
    if (!p)
        return t3d_err_nomem(err, "a picture's pixels");
    if (i.format == T3D_IMAGE_JPEG)
        r = t3di_decode_jpeg(p, &i, data, size, err);
    else if (i.format == T3D_IMAGE_WEBP)
        r = t3di_decode_webp(p, &i, data, size, err);
    else if (!t3di_decode_png_fast(p, &i, a, data, size))
        r = t3di_decode_libpng(p, &i, data, size, err);
    if (r < 0)
        return r;
    *info = i;
    *pixels = p;
    return T3D_OK;
}
