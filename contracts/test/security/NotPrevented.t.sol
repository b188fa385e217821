// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attack} from "./Attack.sol";
import {Coordinator} from "src/Coordinator.sol";
import {Request, Terms} from "src/interface/ICoordinator.sol";
import {Wallet} from "src/payments/Wallet.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @dev A node that does not stand by an answer which was found to be invalid.
contract SoreLoser {
    error Slashed();

    function deliver(Coordinator coordinator, uint32 id, Wallet wallet) external {
        uint256 before = address(wallet).balance;
        coordinator.deliverCompute(id, 1, "", "", "", address(wallet));
        if (address(wallet).balance < before) revert Slashed();
    }
}

/// @notice What the contracts do not prevent, and `docs/contracts-security.md` warns of. A test that fails here makes a warning obsolete.
contract NotPreventedTest is Attack {
    function testConsumerTakesTheMoneyOfAPlainRequestJustBeforeTheAnswer() public {
        uint32 id = _paid(ETH, PRICE, NOBODY);
        _withdraw(wallet, ETH, FUNDS);
        vm.prank(node);
        vm.expectRevert(SafeTransferLib.ETHTransferFailed.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
    }

    function testNodeThatIsAContractUndoesAVerdictThatComesAtOnce() public {
        SoreLoser loser = new SoreLoser();
        _setAllowance(nodeWallet, address(loser), ETH, PRICE);
        atomic.setVerdict(false);
        uint32 id = _paid(ETH, PRICE, address(atomic));
        vm.expectRevert(SoreLoser.Slashed.selector);
        loser.deliver(coordinator, id, nodeWallet);
        assertEq(address(nodeWallet).balance, FUNDS);
    }

    function testKeyWithCodeSpendsWhatItMayStake() public {
        // As by EIP-7702. The code does nothing.
        vm.etch(node, hex"00");
        vm.prank(node);
        uint32 id = coordinator.createSubscription("c", 1, 0, 1, false, ETH, PRICE, address(nodeWallet), NOBODY);
        _deliver(id, otherNode, address(otherWallet));
        assertEq(address(nodeWallet).balance, FUNDS - PRICE);
    }

    function testAnswerIsCopiedIntoThePlacesThatAreLeft() public {
        Terms memory terms = _noTerms();
        terms.committed = true;
        uint32 id = consumer.open(_twice(), terms);
        _commit(id, node);
        vm.roll(vm.getBlockNumber() + 1);
        _reveal(id, node);
        _commit(id, otherNode);
        vm.roll(vm.getBlockNumber() + 1);
        _reveal(id, otherNode);
        assertEq(consumer.last().node, otherNode);
    }

    function testRevokedAllowanceComesBackWithWhatIsReleased() public {
        uint32 id = _paid(ETH, PRICE, address(optimistic));
        _deliver(id);
        _setAllowance(wallet, address(consumer), ETH, 0);
        optimistic.finalize(id, 1, node, false);
        assertEq(wallet.allowance(address(consumer), ETH), EARNED);
    }

    function testOrdinalComesTwice() public {
        uint32 id = consumer.create("c", 1, 0, 2, false, ETH, PRICE, address(wallet), address(optimistic));
        _deliver(id);
        _deliver(id, otherNode, address(otherWallet));
        assertEq(consumer.last().redundancy, 2);
        optimistic.finalize(id, 1, node, false);
        address third = makeAddr("third");
        _setAllowance(nodeWallet, third, ETH, PRICE);
        _deliver(id, third, address(nodeWallet));
        assertEq(consumer.last().redundancy, 2);
    }

    function testWhoAsksAnswersItselfBeforeTheNode() public {
        uint32 id = _openWith(_prepaid(), ETH, NOBODY);
        _deliver(id, makeAddr("friend of the consumer's"), address(wallet));
        vm.prank(node);
        vm.expectRevert(Coordinator.IntervalCompleted.selector);
        coordinator.deliverCompute(id, 1, "", "", "", address(nodeWallet));
        assertEq(wallet.unlockedBalance(ETH), FUNDS - TAKEN);
    }

    function _twice() private view returns (Request memory request) {
        request = _request(ETH, PRICE, NOBODY);
        request.redundancy = 2;
    }

    function _commit(uint32 id, address as_) private {
        bytes32 commitment = coordinator.commitmentOf(_answer(id), as_, "");
        vm.prank(as_);
        coordinator.commitCompute(commitment);
    }

    function _reveal(uint32 id, address as_) private {
        vm.prank(as_);
        coordinator.revealCompute(_answer(id), _noBounds(), "");
    }
}
