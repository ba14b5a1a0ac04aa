#include "tcp/classification.h"

#include <array>

namespace tcpwhy::tcp {
namespace {

constexpr std::array<std::string_view, kind_count> kind_names = {
    "SYN",           "SYN-ACK",          "data",           "FIN",        "ACK",
    "duplicate-ACK", "window-update",    "challenge-ACK",  "keep-alive", "keep-alive-ACK",
    "window-probe",  "window-probe-ACK", "retransmission", "duplicate",  "reordered",
    "reset",         "illegal"};

constexpr std::string_view reason_names[] = {
    "none", "SYN", "FIN", "timeout", "fast", "SACK-hole", "tail-loss-probe", "recovery", "unknown", "SYN-again"};

constexpr std::string_view illegality_names[] = {"none",
                                                 "flags",
                                                 "reset-in-window",
                                                 "reset-out-of-window",
                                                 "reset-in-SYN-SENT",
                                                 "SYN-in-connection",
                                                 "ACK-in-SYN-SENT",
                                                 "out-of-window",
                                                 "ACK-out-of-window",
                                                 "another-SYN-ACK"};

constexpr std::string_view mark_names[] = {
    "gap-before",        "acks-unseen",     "zero-window",    "window-full",  "urgent",          "fast-open",
    "simultaneous-open", "split-handshake", "port-reused",    "needless",     "proves-needless", "with-FIN",
    "carries-new",       "foreign-TTL",     "captured-twice", "answers-FIN",  "old-ACK",         "assumed",
    "behind-ACK",        "offload-copy",    "acked-before",   "old-timestamp"};
static_assert(std::size(mark_names) == mark::count);

}  // namespace

std::string_view name(Kind kind) { return kind_names[static_cast<std::size_t>(kind)]; }
std::string_view name(RetransmissionReason reason) { return reason_names[static_cast<std::size_t>(reason)]; }
std::string_view name(Illegality illegality) { return illegality_names[static_cast<std::size_t>(illegality)]; }
std::string_view mark_name(int bit) { return mark_names[bit]; }
std::string_view name(ResetCause cause) { return reset_cause_names[static_cast<std::size_t>(cause)]; }

}  // namespace tcpwhy::tcp
