# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# what: a user's requests take as many workers as there are
# file: owner.c
# caught-by: unit share
# report: users_have_their_shares
s/if \(owner->running >= odp_owner_share \|\|/if (0 \&\&/
