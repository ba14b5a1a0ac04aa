#include "lab/link/netns.h"

namespace tcpwhy::lab {
namespace {

// Names and defaults: Documentation/networking/ip-sysctl.rst; measured effects are said in the last column.
constexpr Sysctl standard[] = {
    // What is sent in the first place: the options of the handshake.
    {"net.ipv4.tcp_timestamps", "1", "RFC 7323 timestamps on, with a random offset per connection"},
    {"net.ipv4.tcp_sack", "1", "RFC 2018"},
    {"net.ipv4.tcp_dsack", "1", "RFC 2883: a needless retransmission is answered by a D-SACK"},
    {"net.ipv4.tcp_window_scaling", "1", "RFC 7323"},
    {"net.ipv4.tcp_ecn", "2", "RFC 3168: granted when asked for, not asked for"},
    {"net.ipv4.tcp_ecn_fallback", "1", "a SYN that asked for ECN is repeated without"},
    {"net.ipv4.tcp_fastopen", "1", "RFC 7413: as client, and only if the program asks"},
    {"net.ipv4.tcp_rmem", "4096 131072 33554432",
     "its maximum decides the window scale (10); the default since Linux 6.16, before it hung on the memory (6 MiB: 7)"},
    {"net.ipv4.tcp_wmem", "4096 16384 4194304", "the default hangs on the memory below 4 GiB"},
    {"net.ipv4.tcp_moderate_rcvbuf", "1", "receive buffers grow with the connection"},
    {"net.ipv4.tcp_adv_win_scale", "1", "unused since Linux 6.6; before it, the share of the buffer that is window"},
    {"net.ipv4.tcp_app_win", "31", "none of the window is kept back for the program"},
    {"net.ipv4.tcp_shrink_window", "0", "an offered window is not taken back"},
    {"net.ipv4.tcp_workaround_signed_windows", "0", "windows above 32767 are windows"},
    {"net.ipv4.tcp_base_mss", "1024", "where a search for the path's MTU begins"},
    {"net.ipv4.tcp_min_snd_mss", "48", "the smallest segment size that is believed"},
    {"net.ipv4.tcp_mtu_probing", "0", "no probes of the path's MTU"},
    {"net.ipv4.ip_no_pmtu_disc", "0", "DF is set"},
    {"net.ipv4.ip_default_ttl", "64", "the TTL that is printed"},
    {"net.ipv4.ip_local_port_range", "32768 60999", "where a client's port comes from"},
    {"net.ipv4.tcp_reflect_tos", "0", "the type of service is not mirrored"},
    {"net.ipv6.auto_flowlabels", "1", "flow labels from a hash of the connection"},
    {"net.ipv6.bindv6only", "0", "a socket on :: takes IPv4 too (v4-mapped scenarios)"},

    // How fast and how much: distributions and machines differ here most.
    {"net.ipv4.tcp_congestion_control", "reno",
     "RFC 5681, in every kernel, allowed in every namespace; hosts prefer cubic or bbr, and bbr paces"},
    {"net.ipv4.tcp_slow_start_after_idle", "1", "RFC 2861"},
    {"net.ipv4.tcp_no_metrics_save", "1",
     "not the default (0): a connection must not learn its RTO from the one before it in the same scenario"},
    {"net.ipv4.tcp_no_ssthresh_metrics_save", "1", "the same for the slow-start threshold"},
    {"net.ipv4.tcp_autocorking", "1", "small writes may be joined while a packet is under way"},
    {"net.ipv4.tcp_notsent_lowat", "4294967295", "writable means room in the send buffer"},
    {"net.ipv4.tcp_limit_output_bytes", "4194304", "the default since Linux 6.18, before it 1048576"},
    {"net.ipv4.tcp_min_tso_segs", "2", "segments of a burst"},
    {"net.ipv4.tcp_tso_win_divisor", "3", "the share of the window that one burst may take"},

    // Loss, retransmission, patience.
    {"net.ipv4.tcp_early_retrans", "3", "tail loss probes on: they repeat a FIN after some milliseconds on lo"},
    {"net.ipv4.tcp_recovery", "1", "RACK, RFC 8985"},
    {"net.ipv4.tcp_reordering", "3", "RFC 5681's duplicate ACK threshold"},
    {"net.ipv4.tcp_max_reordering", "300", "how far it may grow"},
    {"net.ipv4.tcp_frto", "2", "RFC 5682"},
    {"net.ipv4.tcp_thin_linear_timeouts", "0", "timeouts double"},
    {"net.ipv4.tcp_rto_min_us", "200000", "the shortest retransmission timeout: 200 ms"},
    {"net.ipv4.tcp_rto_max_ms", "120000", "the longest: 120 s"},
    {"net.ipv4.tcp_syn_retries", "6", "SYNs before ETIMEDOUT"},
    {"net.ipv4.tcp_syn_linear_timeouts", "4", "since Linux 6.5 the first four SYNs are repeated after 1 s each"},
    {"net.ipv4.tcp_synack_retries", "5", "SYN-ACKs before a request is forgotten"},
    {"net.ipv4.tcp_retries1", "3", "retransmissions before the route is doubted"},
    {"net.ipv4.tcp_retries2", "15", "retransmissions before ETIMEDOUT"},
    {"net.ipv4.tcp_orphan_retries", "0", "0 means 8: retransmissions for a socket that nobody holds"},
    {"net.ipv4.tcp_keepalive_time", "7200", "seconds of silence before the first probe"},
    {"net.ipv4.tcp_keepalive_intvl", "75", "seconds between probes"},
    {"net.ipv4.tcp_keepalive_probes", "9", "unanswered probes before ETIMEDOUT"},
    {"net.ipv4.tcp_pingpong_thresh", "1", "when a connection counts as interactive, and its ACKs are delayed"},
    {"net.ipv4.tcp_backlog_ack_defer", "1", "one ACK for what waited while the program held the socket"},
    {"net.ipv4.tcp_comp_sack_delay_ns", "1000000", "SACKs are compressed for at most 1 ms"},
    {"net.ipv4.tcp_comp_sack_slack_ns", "100000", "and that timer may be late by 100 us"},
    {"net.ipv4.tcp_comp_sack_nr", "44", "and for at most 44 segments"},

    // The end of a connection, and what stray segments get.
    {"net.ipv4.tcp_fin_timeout", "60", "seconds that a closed socket stays in FIN-WAIT-2"},
    {"net.ipv4.tcp_tw_reuse", "2", "TIME-WAIT ports are reused on loopback only"},
    {"net.ipv4.tcp_tw_reuse_delay", "1000", "and after 1 s"},
    {"net.ipv4.tcp_rfc1337", "0", "an RST ends TIME-WAIT"},
    {"net.ipv4.tcp_stdurg", "0", "the urgent pointer as BSD reads it"},
    {"net.ipv4.tcp_challenge_ack_limit", "2147483647",
     "challenge ACKs are not limited (1000 a second before Linux 6.0)"},
    {"net.ipv4.tcp_invalid_ratelimit", "500", "but answers to invalid segments are: one in 500 ms a connection"},
    {"net.ipv4.tcp_max_tw_buckets", "16384", "it follows the size of the socket table, which a sandbox makes small"},
    {"net.ipv4.tcp_max_syn_backlog", "2048", "the same"},

    // Listeners.
    {"net.core.somaxconn", "4096", "the longest backlog"},
    {"net.ipv4.tcp_syncookies", "1", "only when the queue overflows"},
    {"net.ipv4.tcp_abort_on_overflow", "0", "an overflowing queue is silent"},
    {"net.ipv4.tcp_migrate_req", "0", "requests die with their listener"},

    // Addresses and routes: what a distribution's sysctl.d sets and namespaces inherit.
    {"net.ipv4.conf.all.rp_filter", "0", "no reverse-path filter"},
    {"net.ipv4.conf.default.rp_filter", "0", "nor on interfaces to come"},
    {"net.ipv6.conf.all.disable_ipv6", "0", "IPv6 on, also where the host has it off"},
    {"net.ipv6.conf.default.disable_ipv6", "0", "also on interfaces to come"},
    {"net.ipv6.conf.default.accept_dad", "0", "addresses are usable at once"},
    {"net.ipv6.conf.default.dad_transmits", "0", "and nobody is asked about them"},
    {"net.ipv6.conf.default.accept_ra", "0", "no routers"},
    {"net.ipv6.conf.default.autoconf", "0", "no addresses but those that are given"},
    {"net.ipv6.conf.default.router_solicitations", "0", "the wire is silent but for the experiment"},
    {"net.ipv6.conf.default.addr_gen_mode", "1", "no link-local address, hence no multicast reports from it"},
};

}  // namespace

std::span<const Sysctl> standard_sysctls() { return standard; }

}  // namespace tcpwhy::lab
