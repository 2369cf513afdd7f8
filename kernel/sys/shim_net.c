// SPDX-License-Identifier: GPL-2.0
/* Sockets. */
#include <linux/net.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "shim.h"

void shim_sock_for_block_io(struct socket *sock)
{
	lock_sock(sock->sk);
	sock->sk->sk_allocation = GFP_NOIO;
	sock->sk->sk_use_task_frag = false;
	sk_set_memalloc(sock->sk);
	release_sock(sock->sk);
}

/* It gives memory back, and segments that come in change the same account. */
void shim_sock_done(struct socket *sock)
{
	lock_sock(sock->sk);
	sk_clear_memalloc(sock->sk);
	release_sock(sock->sk);
}

void shim_sock_set_reuseaddr(struct socket *sock)
{
	sock_set_reuseaddr(sock->sk);
}

void shim_sock_set_nodelay(struct socket *sock)
{
	tcp_sock_set_nodelay(sock->sk);
}

void shim_sock_set_cork(struct socket *sock, bool on)
{
	tcp_sock_set_cork(sock->sk, on);
}

void shim_sock_set_quickack(struct socket *sock)
{
	tcp_sock_set_quickack(sock->sk, 2);
}

void shim_sock_set_delayed_ack(struct socket *sock)
{
	tcp_sock_set_quickack(sock->sk, 0);
}

void shim_sock_set_priority(struct socket *sock, u32 priority)
{
	sock_set_priority(sock->sk, priority);
}

void shim_sock_set_buffers(struct socket *sock, u32 send, u32 receive)
{
	if (send) {
		WRITE_ONCE(sock->sk->sk_sndbuf, min_t(u32, send, INT_MAX));
		sock->sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
	}
	if (receive) {
		WRITE_ONCE(sock->sk->sk_rcvbuf, min_t(u32, receive, INT_MAX));
		sock->sk->sk_userlocks |= SOCK_RCVBUF_LOCK;
	}
}

void shim_sock_set_sndtimeo(struct socket *sock, long timeout)
{
	WRITE_ONCE(sock->sk->sk_sndtimeo, timeout);
}

void shim_sock_set_rcvtimeo(struct socket *sock, long timeout)
{
	WRITE_ONCE(sock->sk->sk_rcvtimeo, timeout);
}

void shim_sock_fill(struct socket *sock, struct shim_sock_fill *fill)
{
	struct tcp_sock *tcp = tcp_sk(sock->sk);

	fill->send_queued = READ_ONCE(sock->sk->sk_wmem_queued);
	fill->send_limit = READ_ONCE(sock->sk->sk_sndbuf);
	fill->unacknowledged = READ_ONCE(tcp->write_seq) - READ_ONCE(tcp->snd_una);
	fill->unread = READ_ONCE(tcp->rcv_nxt) - READ_ONCE(tcp->copied_seq);
}
