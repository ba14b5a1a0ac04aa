// What Zeek's scripts know about ports.
#pragma once

#include <cstdint>

namespace tcpwhy::compat::zeek {

// In `likely_server_ports`, as the scripts that Zeek loads by default fill it.
bool is_likely_server_port(std::uint16_t port);

// Interactive services, whose connections are given an hour of silence (Conn::port_inactivity_timeouts).
bool is_interactive_port(std::uint16_t port);

}  // namespace tcpwhy::compat::zeek
