// SPDX-License-Identifier: GPL-2.0
/* Generic netlink. */
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <net/genetlink.h>

#include "shim.h"

u32 shim_skb_port(const struct sk_buff *skb)
{
	return NETLINK_CB(skb).portid;
}

void *shim_skb_tail(struct sk_buff *skb, size_t *room)
{
	*room = skb_tailroom(skb);
	return skb_tail_pointer(skb);
}

int shim_genl_reply(struct sk_buff *skb, struct genl_info *info)
{
	return genlmsg_reply(skb, info);
}
