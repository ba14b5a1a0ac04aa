#include "compat/zeek/ports.h"

#include <algorithm>
#include <iterator>

namespace tcpwhy::compat::zeek {
namespace {

// In order. By protocol: FTP 21 2811, SSH 22, SMTP 25 587, DNS 53, finger 79, HTTP 80 81 631 1080 3128 8000 8080 8888,
// Kerberos 88, POP3 110, DCE-RPC 135, SMB 139 445, IMAP 143, LDAP 389 3268, TLS 443 563 585 614 636 989 990 992 993 995
// 5223, Modbus 502, SOCKS 1080, MySQL 1434 3306, MQTT 1883, RDP 3389, XMPP 5222 5269, PostgreSQL 5432, Redis 6379,
// IRC 6666 to 6669, DNP3 20000.
constexpr std::uint16_t server_ports[] = {
    21,   22,   25,   53,   79,   80,   81,   88,   110,  135,  139,  143,  389,  443,  445,  502,
    563,  585,  587,  614,  631,  636,  989,  990,  992,  993,  995,  1080, 1434, 1883, 2811, 3128,
    3268, 3306, 3389, 5222, 5223, 5269, 5432, 6379, 6666, 6667, 6668, 6669, 8000, 8080, 8888, 20000,
};
static_assert(std::ranges::is_sorted(server_ports));

}  // namespace

bool is_likely_server_port(std::uint16_t port) { return std::ranges::binary_search(server_ports, port); }

bool is_interactive_port(std::uint16_t port) { return port == 21 || port == 22 || port == 23 || port == 513; }

}  // namespace tcpwhy::compat::zeek
