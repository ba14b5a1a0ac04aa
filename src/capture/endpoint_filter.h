// pcap-filter(7) asked about a connection instead of a packet: "port 5432 and net 10/8". A connection fits if a TCP segment of it, in
// one direction or the other, would.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "wire/address.h"

namespace tcpwhy::capture {

class EndpointFilter {
 public:
  // Errors: usage, an expression that does not compile.
  static base::Result<EndpointFilter> compile(const std::string& expression);
  EndpointFilter(EndpointFilter&&) noexcept;
  EndpointFilter& operator=(EndpointFilter&&) noexcept;
  ~EndpointFilter();

  [[nodiscard]] bool fits(const wire::SocketAddress& one, const wire::SocketAddress& other) const;

 private:
  struct Impl;
  explicit EndpointFilter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tcpwhy::capture
