/* SPDX-License-Identifier: Apache-2.0 */
/* base/openmp.h -- OpenMP beside other threads.
 *
 * Between two parallel loops OpenMP's threads spin for milliseconds before they sleep. In a program
 * whose other threads have work to do, such as decoding pictures for a network, that takes the
 * processor from them: embed on two cores needs four times as long. */
#ifndef T3D_BASE_OPENMP_H
#define T3D_BASE_OPENMP_H

/* First in main: let waiting threads sleep after some microseconds. The runtime reads its settings
 * before main, so the program is started once more with them in its environment, unless the user
 * has set any of them. Returns when there is nothing to do, or nothing can be done. */
void t3d_openmp_share(char **argv);

#endif
