// How strace spells each call of the table: what is known when it is entered, and what it hands back.
#pragma once

#include <string>
#include <string_view>

#include "lab/call.h"

namespace tcpwhy::lab {

// An argument that the call fills is `...` at entry; what is handed back takes its place (recording::call_line()).
using SpellCall = std::string(const ReadyCall&, std::string_view payload);
using SpellReturn = std::string(const ReadyCall&, const CallSlot&);

SpellCall spell_socket, spell_address, spell_number, spell_accept, spell_send, spell_recv, spell_write, spell_read,
    spell_shutdown, spell_fd, spell_setsockopt, spell_getsockopt, spell_poll, spell_signal, spell_number_only,
    spell_kill, spell_nothing, spell_exec, spell_sendto, spell_sendmsg, spell_writev, spell_sendfile, spell_splice,
    spell_fcntl, spell_setitimer, spell_sigprocmask, spell_sigtimedwait, spell_setrlimit, spell_socketpair,
    spell_send_fd;
SpellReturn back_address, back_bytes, back_option, back_poll, back_remote, back_local, back_pair, back_passed, nothing;

// What those above share. For call_spelling*.cc only.
std::string quoted_payload(const ReadyCall& call, std::string_view payload);  // as much as strace would show
std::uint64_t payload_size(const ReadyCall& call);

// {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr("127.0.0.1")}
std::string spell_sockaddr(const sockaddr_storage& address, socklen_t length);

}  // namespace tcpwhy::lab
