/* SPDX-License-Identifier: AGPL-3.0-or-later */
typedef int kw_routes_to_come;
