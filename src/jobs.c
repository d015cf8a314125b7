/* SPDX-License-Identifier: AGPL-3.0-or-later */
typedef int kw_jobs_to_come;
