// Input: a line as people type it to tcpwhy server and client, and the address that they start them with.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "lab/agents/by_hand.h"
#include "lab/language/scenario_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto check_error = [](const base::Error& error) {
    TCPWHY_CHECK(error.kind == base::ErrorKind::usage);
    for (const char letter : error.message.en + error.hint.en) TCPWHY_CHECK(static_cast<unsigned char>(letter) >= 0x20);
  };
  const std::string_view line = text.substr(0, text.find('\n'));
  if (const auto typed = lab::parse_typed_call(line); !typed) check_error(typed.error());
  if (const auto address = lab::parse_listen_address(line))
    TCPWHY_CHECK(address->ip.family != wire::IpFamily::none);
  else
    check_error(address.error());
  return 0;
}
