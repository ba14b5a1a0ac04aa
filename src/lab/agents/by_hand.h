// The experiment by hand: a person types the calls of one end, in two terminals, on the real network of this host.
//
//   accept                       accept(3, {sa_family=AF_INET, ...}, [16]) = 4
//   send hello, client!          send(4, "hello, client!", 14, 0) = 14
//
// Each line is a call of the table in lab/agents/call.h, or `state`, `help`, `quit`; each result is printed as strace would.
// From a pipe it is a script: no prompt, output line by line. SIGPIPE has its default action: it kills this process, as
// it would kill any program (exit status 141 in a shell), in the middle of the call.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/result.h"
#include "lab/agents/call.h"
#include "wire/address.h"

namespace tcpwhy::lab {

// "9999", "127.0.0.1:9999", "[::1]:9999", "127.0.0.1"; what is missing is 0.0.0.0 and the default port. Kind usage
// otherwise.
base::Result<wire::SocketAddress> parse_listen_address(std::string_view text);
// A numeric address or a name that the system can look up; kind usage if it can't.
base::Result<wire::SocketAddress> find_host(const std::string& host, std::uint16_t port);

// Where lines are typed and answered, and in which language.
struct Terminal {
  std::FILE* in;
  std::FILE* out;
  base::Language language = base::Language::en;
};

// socket, SO_REUSEADDR, bind, listen; then what is read from `in`, up to its end or `quit`. Resets this process's
// signals. An error only if listening failed or `out` cannot be written: what typed calls return is printed and goes on.
base::Status serve_by_hand(const wire::SocketAddress& listen_on, const Terminal& terminal);
// socket, connect; then as above. A refused connect() is printed, and goes on too.
base::Status connect_by_hand(const wire::SocketAddress& peer, const Terminal& terminal);

}  // namespace tcpwhy::lab
