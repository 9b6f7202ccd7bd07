/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses may be connected to. All are compared as IPv6, IPv4 as ::ffff:a.b.c.d. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "store/http_impl.h"

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890), multicast and reserved. */
static const struct {
    unsigned char addr[4];
    unsigned bits;
} special4[] = {{{0, 0, 0, 0}, 8},      {{10, 0, 0, 0}, 8},     {{100, 64, 0, 0}, 10},
                {{127, 0, 0, 0}, 8},    {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12},
                {{192, 0, 0, 0}, 24},   {{192, 0, 2, 0}, 24},   {{192, 88, 99, 0}, 24},
                {{192, 168, 0, 0}, 16}, {{198, 18, 0, 0}, 15},  {{198, 51, 100, 0}, 24},
                {{203, 0, 113, 0}, 24}, {{224, 0, 0, 0}, 4},    {{240, 0, 0, 0}, 4}};

static int equal_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return 0;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static int is_special4(const unsigned char a[4])
{
    for (size_t i = 0; i < T3D_COUNT(special4); i++)
        if (equal_bits(a, special4[i].addr, special4[i].bits))
            return 1;
    return 0;
}

/* Only global unicast is public: 2000::/3 (RFC 4291) without Teredo, documentation, 6to4 and the
 * protocol assignments, which lead to other addresses or nowhere; and NAT64 (RFC 6052) of a public
 * IPv4 address. A mapped form is never on the wire: it is what an IPv4 address is written as to get
 * past a check. */
static int is_special6(const unsigned char a[16])
{
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};

    if (memcmp(a, nat64, sizeof nat64) == 0)
        return is_special4(a + 12);
    if (a[0] >> 5 != 1)
        return 1;
    if (a[0] == 0x20 && a[1] == 0x02) /* 2002::/16 */
        return 1;
    if (a[0] != 0x20 || a[1] != 0x01)
        return a[0] == 0x3f && a[1] == 0xff && a[2] >> 4 == 0; /* 3fff::/20 */
    return a[2] < 2 || (a[2] == 0x0d && a[3] == 0xb8);         /* 2001::/23, 2001:db8::/32 */
}

int t3di_net_parse(struct t3di_net *n, const char *cidr, struct t3d_err *err)
{
    const char *slash = strchr(cidr, '/');
    size_t length = slash ? (size_t)(slash - cidr) : strlen(cidr);
    char text[INET6_ADDRSTRLEN], *end;
    unsigned most = 128;
    long bits;

    memset(n, 0, sizeof *n);
    if (length >= sizeof text)
        goto bad;
    memcpy(text, cidr, length);
    text[length] = 0;
    if (inet_pton(AF_INET, text, n->addr + 12) == 1) {
        memcpy(n->addr, mapped, sizeof mapped);
        most = 32;
    } else if (inet_pton(AF_INET6, text, n->addr) != 1) {
        goto bad;
    }
    bits = slash ? strtol(slash + 1, &end, 10) : (long)most;
    if (slash && (slash[1] < '0' || slash[1] > '9' || *end || bits > (long)most))
        goto bad;
    n->bits = (unsigned)bits + 128 - most;
    return T3D_OK;
bad:
    return t3d_err_set(err, T3D_USAGE, "usage",
                       "--allow-net '%.80s' is no network: write 127.0.0.0/8 or fd00::/8", cidr);
}

int t3di_net_allows(const struct t3di_net *allow, size_t n, const struct sockaddr *sa)
{
    unsigned char a[16];

    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof in);
        memcpy(a, mapped, sizeof mapped);
        memcpy(a + 12, &in.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in;

        memcpy(&in, sa, sizeof in);
        memcpy(a, &in.sin6_addr, 16);
    } else {
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (equal_bits(a, allow[i].addr, allow[i].bits))
            return 1;
    return sa->sa_family == AF_INET ? !is_special4(a + 12) : !is_special6(a);
}
