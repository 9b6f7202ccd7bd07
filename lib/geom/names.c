/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/names.h"

#include <string.h>

#include "base/defs.h"

static int has(const uint8_t *data, size_t n, const char *needle)
{
    return memmem(data, n, needle, strlen(needle)) != NULL;
}

int t3d_may_name_files(const uint8_t *data, size_t n, const char *ending)
{
    if (strcmp(ending, "gltf") == 0 || strcmp(ending, "fbx") == 0 || strcmp(ending, "dae") == 0 ||
        strcmp(ending, "3ds") == 0)
        return 1;
    if (strcmp(ending, "obj") == 0)
        return has(data, n, "mtllib");
    if (strcmp(ending, "glb") != 0)
        return 0;
    /* glTF 2.0, section 4.4: 12 bytes of header, then the JSON chunk: length, "JSON", text. */
    if (n >= 20 && memcmp(data, "glTF", 4) == 0) {
        uint32_t size = data[12] | (uint32_t)data[13] << 8 | (uint32_t)data[14] << 16 |
                        (uint32_t)data[15] << 24;
        n = T3D_MIN(n - 20, size);
        data += 20;
    }
    /* JSON may write any letter of a name as \uXXXX. */
    return has(data, n, "\"uri\"") || has(data, n, "\\u");
}
