// Marks on output that it is synthetic: IPTC DigitalSourceType
// "compositeWithTrainedAlgorithmicMedia" as an XMP packet (iTXt in PNG, uuid box in MP4
// and MOV), a comment in every container, and a manifest beside the output.
#pragma once
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>

namespace faceswap {

std::string xmp_packet(const std::string& tool);                 // the XMP document
inline constexpr const char* kXmpKeyword = "XML:com.adobe.xmp";  // of the PNG text chunk
// Appends a top-level uuid box. Error(disk).
void append_xmp_box(const std::filesystem::path& mp4, const std::string& packet);
bool has_synthetic_mark(const std::filesystem::path&);     // of a PNG, JPEG or video; Error(input)
std::string sha256_of_bytes(std::span<const std::byte>);   // hex
std::string sha256_of_file(const std::filesystem::path&);  // hex; Error(input)
// Writes <out>.provenance.json: tool, version, time, command line, hashes of output and
// inputs, and the entries of `facts`. Error(input), Error(disk).
void write_manifest(const std::filesystem::path& out, const std::string& command,
                    const std::map<std::string, std::filesystem::path>& inputs,
                    const std::map<std::string, std::string>& facts);
}  // namespace faceswap
