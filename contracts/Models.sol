// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title IModels, at 0x4841000000000000000000000000000000000002
/// @notice The register of models. A model is known by its verifying key: the canonical graph
/// without weights, the commitment to the weights, and the profile of the proof system. The key
/// itself lies in chain state, so that a verification reads nothing else.
/// @dev `begin` opens an upload, `upload` appends chunks in order, `finish` checks and lists.
/// Orders copy the terms they were placed under; no change here touches them.
interface IModels {
    /// @notice A listed model.
    struct ModelInfo {
        // Who published it, sets its price, and is paid the owner's share.
        address owner;
        // Price of one run, in wei.
        uint128 price;
        // The owner's part of the price, in 1/10000; with the network's part at most 10000.
        uint16 ownerShareBps;
        // BLAKE3 of the verifying key.
        bytes32 digest;
        // Root of the commitment to the weights.
        bytes32 commitment;
        // BLAKE3 of the model file.
        bytes32 contentHash;
        // Length of the model file, in bytes.
        uint64 contentSize;
        // Length of the verifying key, in bytes.
        uint32 keySize;
        // Number of the block in which `finish` ran; 0 while the upload is open.
        uint64 registeredAt;
        // Whether it takes new orders.
        bool active;
        string name;
        // Where the model file may be had.
        string uri;
    }

    /// @notice A model was listed.
    event Published(
        bytes32 indexed id,
        address indexed owner,
        bytes32 indexed digest,
        bytes32 commitment,
        bytes32 contentHash,
        uint64 contentSize,
        uint128 price,
        uint16 ownerShareBps,
        string name,
        string uri
    );
    /// @notice An upload was opened, or reset.
    event UploadBegun(bytes32 indexed id, address indexed owner, bytes32 digest, uint32 keySize);
    /// @notice Later orders cost this much, in wei.
    event PriceSet(bytes32 indexed id, uint128 price);
    /// @notice The model file is now had from here.
    event UriSet(bytes32 indexed id, string uri);
    /// @notice The model takes no more orders.
    event Retired(bytes32 indexed id);

    /// @notice No upload and no model has this id.
    error UnknownModel(bytes32 id);
    /// @notice The model's upload is not finished.
    error NotPublished(bytes32 id);
    /// @notice The model takes no orders any more.
    error ModelRetired(bytes32 id);
    /// @notice The model is listed already; its key and terms of share are fixed.
    error AlreadyPublished(bytes32 id);
    /// @notice Only the owner may do this.
    error NotOwner(address owner);
    /// @notice The key's length is 0 or above the limit.
    error KeySizeOutOfRange(uint32 keySize, uint32 maximum);
    /// @notice The owner's share is above what the network's part leaves, both in 1/10000.
    error ShareTooLarge(uint16 ownerShareBps, uint16 maximum);
    /// @notice A name or a uri is above its limit, both in bytes.
    error TextTooLong(uint256 length, uint256 maximum);
    /// @notice The chunk does not begin where the last one ended.
    error WrongOffset(uint32 offset, uint32 expected);
    /// @notice The chunk is empty or goes beyond the announced length.
    error ChunkOutOfRange(uint256 length, uint32 left);
    /// @notice The upload lacks bytes.
    error UploadIncomplete(uint32 received, uint32 keySize);
    /// @notice The key's BLAKE3 is not the announced digest.
    error DigestMismatch(bytes32 announced, bytes32 computed);
    /// @notice The key does not decode; the reason is for people.
    error InvalidKey(string reason);
    /// @notice `list` gives at most `maximum` ids a call.
    error LimitTooLarge(uint256 limit, uint256 maximum);

    /// @notice Opens an upload of a verifying key, or resets the caller's open upload of it.
    /// @param digest BLAKE3 of the key.
    /// @param keySize Length of the key, in bytes.
    /// @param contentHash BLAKE3 of the model file.
    /// @param contentSize Length of the model file, in bytes.
    /// @param price Price of one run, in wei.
    /// @param ownerShareBps The owner's part of the price, in 1/10000.
    /// @param name What people call it, at most 64 bytes.
    /// @param uri Where the model file may be had, at most 512 bytes.
    /// @return id keccak256(abi.encode(owner, digest)): nobody can take another owner's id.
    function begin(
        bytes32 digest,
        uint32 keySize,
        bytes32 contentHash,
        uint64 contentSize,
        uint128 price,
        uint16 ownerShareBps,
        string calldata name,
        string calldata uri
    ) external returns (bytes32 id);
    /// @notice Appends a chunk to the caller's open upload.
    function upload(bytes32 id, uint32 offset, bytes calldata chunk) external;
    /// @notice Checks the uploaded key against its digest, decodes it, and lists the model.
    function finish(bytes32 id) external;
    /// @notice Sets the price of later orders, in wei.
    function setPrice(bytes32 id, uint128 price) external;
    /// @notice Sets where the model file may be had, at most 512 bytes.
    function setUri(bytes32 id, string calldata uri) external;
    /// @notice Takes no more orders, for good; open orders go on.
    function retire(bytes32 id) external;

    /// @notice The model or open upload of this id.
    function info(bytes32 id) external view returns (ModelInfo memory);
    /// @notice The verifying key of a listed model.
    function key(bytes32 id) external view returns (bytes memory);
    /// @notice Most gas that one transaction may ask for. A model whose longest delivery needs more is
    /// not listed.
    function maxTransactionGas() external view returns (uint64);
    /// @notice Number of models ever listed.
    function count() external view returns (uint256);
    /// @notice Ids in order of listing, at most 100 a call.
    function list(uint256 offset, uint256 limit) external view returns (bytes32[] memory);
}
