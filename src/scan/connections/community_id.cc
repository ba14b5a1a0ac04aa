#include <openssl/evp.h>
#include <openssl/sha.h>

#include <array>
#include <vector>

#include "scan/connections/record.h"

namespace tcpwhy::scan {

std::string community_id(const ConnectionRecord& record) {
  constexpr std::uint8_t tcp_protocol = 6, padding = 0;
  const auto& [a, b] = record.addresses.values;
  // The smaller address and port first; as both ends have the same family, the bytes decide.
  const bool in_order = a.ip.bytes < b.ip.bytes || (a.ip.bytes == b.ip.bytes && a.port <= b.port);
  const wire::SocketAddress& low = in_order ? a : b;
  const wire::SocketAddress& high = in_order ? b : a;
  const std::size_t length = low.ip.family == wire::IpFamily::v4 ? 4 : 16;
  std::vector<std::uint8_t> text = {0, 0};  // the seed
  text.insert(text.end(), low.ip.bytes.begin(), low.ip.bytes.begin() + static_cast<std::ptrdiff_t>(length));
  text.insert(text.end(), high.ip.bytes.begin(), high.ip.bytes.begin() + static_cast<std::ptrdiff_t>(length));
  text.insert(text.end(),
              {tcp_protocol, padding, static_cast<std::uint8_t>(low.port >> 8U), static_cast<std::uint8_t>(low.port),
               static_cast<std::uint8_t>(high.port >> 8U), static_cast<std::uint8_t>(high.port)});
  std::array<std::uint8_t, SHA_DIGEST_LENGTH> digest{};
  SHA1(text.data(), text.size(), digest.data());
  std::array<std::uint8_t, 32> encoded{};  // 4 characters for each 3 bytes, and a zero
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return "1:" + std::string(encoded.begin(), encoded.begin() + size);
}

}  // namespace tcpwhy::scan
