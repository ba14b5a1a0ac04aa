// Socket addresses in strace's spelling, read back:
// {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, and AF_INET6's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/address.h"

namespace tcpwhy::calls {

// Nothing for another family, and for what is none.
std::optional<wire::SocketAddress> read_address(std::string_view spelt);

// A line of strace's with 127.0.0.1:9999 in place of each address and of its length behind it. What can't be read stays.
std::string with_short_addresses(std::string_view line);

}  // namespace tcpwhy::calls
